/** What may stand between the fields of a CSV file; all but the comma are habits of common tools, RFC 4180 knows only it. */
export const CSV_DELIMITERS = [',', ';', '\t', '|'] as const;

/** One of {@link CSV_DELIMITERS}: an ASCII character, so that it is one byte and never part of another character. */
export type CsvDelimiter = (typeof CSV_DELIMITERS)[number];
