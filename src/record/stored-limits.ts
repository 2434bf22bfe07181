/**
 * Largest baseline that is written or read, in bytes: 2,048 columns of text at the 52 KiB that 256 listed values, a name of
 * 512 bytes and 80 batches of history come to, and some room. Values full of characters that JSON escapes may come to more:
 * such a baseline is refused when it is learned.
 */
export const BASELINE_BYTES_MAX = 128 * 1_024 * 1_024;
