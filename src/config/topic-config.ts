import { pointer } from './check-shape.ts';
import type { Config, RuleConfig, TopicConfig } from './schema.ts';

/**
 * Settings of one topic: its own over the defaults. Its rules come on top of those of the defaults, and one of the same name
 * replaces that: a rule for one topic must not switch off in silence what holds for all.
 */
export function topicConfig(config: Pick<Config, 'topics' | 'topicDefaults'>, topic: string): TopicConfig {
  const own = Object.hasOwn(config.topics, topic) ? config.topics[topic] : {};
  return { ...config.topicDefaults, ...own, rules: rulesOfTopic(config, topic).map(({ rule }) => rule) };
}

/** All rules of a topic, each with its JSON pointer: those of the defaults that it does not replace, then its own. */
export function rulesOfTopic(
  { topics, topicDefaults }: Pick<Config, 'topics' | 'topicDefaults'>,
  topic: string,
): { readonly at: string; readonly rule: RuleConfig }[] {
  const own = (Object.hasOwn(topics, topic) ? topics[topic]!.rules : undefined) ?? [];
  const names = namesOf(own);
  const placed = (path: string, rules: readonly RuleConfig[]) =>
    rules.map((rule, i) => ({ at: pointer(`${path}/rules`, i), rule }));
  return [
    ...placed('/topicDefaults', topicDefaults.rules).filter(({ rule }) => !names.has(rule.name)),
    ...placed(pointer('/topics', topic), own),
  ];
}

/** Names that rules were given; a rule without one replaces none. */
export function namesOf(rules: readonly RuleConfig[]): ReadonlySet<string | undefined> {
  return new Set(rules.map(({ name }) => name).filter((name) => name !== undefined));
}
