import { ConfigSchema } from './schema.ts';

/** The JSON Schema of the configuration file, for editors. */
export function printJsonSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Headgate configuration',
    ...(structuredClone(ConfigSchema) as object),
  };
  return `${JSON.stringify(withoutNeedless(schema), null, 2)}\n`;
}

/** A copy in which keys that have a default need not be given. */
function withoutNeedless(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNeedless);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => key !== 'description' || inner !== '')
      .map(([key, inner]) => [key, withoutNeedless(inner)]),
  );
  const { properties, required } = copy as {
    properties?: Readonly<Record<string, { readonly default?: unknown }>>;
    required?: readonly string[];
  };
  if (properties === undefined || !Array.isArray(required)) return copy;
  const needed = required.filter((key) => properties[key]?.default === undefined);
  const { required: _, ...rest } = copy;
  return needed.length === 0 ? rest : { ...copy, required: needed };
}
