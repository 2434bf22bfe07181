const CHARACTERS_MAX = 64;

/**
 * A column, label or rule as it stands in a sentence: quoted, at most 64 characters, without any that could pass for other
 * text or steer a terminal.
 * Trust: names come from hostile records.
 */
export function quoteName(name: string): string {
  const plain = name.replace(/[\p{C}\p{Zl}\p{Zp}"]/gu, '\u{fffd}');
  return `"${plain.length > CHARACTERS_MAX ? `${plain.slice(0, CHARACTERS_MAX - 1)}…` : plain}"`;
}
