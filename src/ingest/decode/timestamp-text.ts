import type { TimestampUnit } from '../../record/schema.ts';
import type { Int64Words } from './int64-words.ts';

const ZERO = 0x30;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const COLON = 0x3a;
const SPACE = 0x20;
const LETTER_T = 0x74;
const LETTER_Z = 0x7a;
const CASE_BIT = 0x20;

const DATE_LENGTH = 10;
/** Shortest date-time: `YYYY-MM-DDThh:mm:ssZ`. */
const INSTANT_LENGTH_MIN = 20;
const NANOS_DIGITS = 9;
const DAYS_IN_MONTH = Uint8Array.of(0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);
const PER_SECOND: Readonly<Record<TimestampUnit, number>> = { ms: 1_000, us: 1_000_000, ns: 1_000_000_000 };

/** The text is an RFC 3339 instant or date. */
export const TIMESTAMP_OK = 0;
/** The text is no timestamp at all. */
export const TIMESTAMP_NONE = 1;
/** The text is well-formed, but a leap second or the year 0, which no clock of ours can hold. */
export const TIMESTAMP_UNREPRESENTABLE = 2;

/**
 * One RFC 3339 timestamp: `T` or a space between date and time (either case), any number of decimals, `Z` or `±hh:mm`;
 * or a date alone, which means midnight UTC. Years 0001–9999 of the proleptic Gregorian calendar.
 * A single instance is filled again for each text, so that the hot path allocates nothing. Source: RFC 3339 §5.6.
 */
export class TimestampText {
  /** [0] = whole seconds since 1970 UTC, rounded down. A typed array, because a field would box the double. */
  readonly seconds = new Float64Array(1);
  /** 0–999,999,999, after the whole seconds. */
  nanos = 0;
  /** Decimals as written, however many. */
  fraction = 0;
  /** A decimal beyond the ninth is not 0. */
  finerThanNanos = false;
  isDate = false;

  /** Reads `bytes[start, end)`. @returns One of the TIMESTAMP_ codes; the fields mean nothing after TIMESTAMP_NONE. */
  parse(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length !== DATE_LENGTH && length < INSTANT_LENGTH_MIN) return TIMESTAMP_NONE;
    const century = twoDigits(bytes, start);
    const yearOfCentury = twoDigits(bytes, start + 2);
    const month = twoDigits(bytes, start + 5);
    const day = twoDigits(bytes, start + 8);
    if ((century | yearOfCentury | month | day) < 0) return TIMESTAMP_NONE;
    if (bytes[start + 4] !== MINUS || bytes[start + 7] !== MINUS) return TIMESTAMP_NONE;
    const year = century * 100 + yearOfCentury;
    if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return TIMESTAMP_NONE;
    this.nanos = 0;
    this.fraction = 0;
    this.finerThanNanos = false;
    this.isDate = length === DATE_LENGTH;
    const midnight = daysSinceEpoch(year, month, day) * 86_400;
    this.seconds[0] = midnight;
    const code = this.isDate ? TIMESTAMP_OK : this.#parseTime(bytes, start + DATE_LENGTH, end, midnight);
    return code === TIMESTAMP_OK && year === 0 ? TIMESTAMP_UNREPRESENTABLE : code;
  }

  #parseTime(bytes: Uint8Array, start: number, end: number, midnight: number): number {
    const separator = bytes[start]!;
    if (separator !== SPACE && (separator | CASE_BIT) !== LETTER_T) return TIMESTAMP_NONE;
    if (bytes[start + 3] !== COLON || bytes[start + 6] !== COLON) return TIMESTAMP_NONE;
    const hour = twoDigits(bytes, start + 1);
    const minute = twoDigits(bytes, start + 4);
    const second = twoDigits(bytes, start + 7);
    if ((hour | minute | second) < 0 || hour > 23 || minute > 59 || second > 60) return TIMESTAMP_NONE;
    let p = start + 9;
    if (bytes[p] === POINT) p = this.#parseFraction(bytes, p + 1, end);
    const offset = p < end ? offsetSeconds(bytes, p, end) : Number.NaN;
    if (Number.isNaN(offset)) return TIMESTAMP_NONE;
    this.seconds[0] = midnight + hour * 3_600 + minute * 60 + second - offset;
    return second === 60 ? TIMESTAMP_UNREPRESENTABLE : TIMESTAMP_OK;
  }

  /** @returns Index past the digits; `end`, where no offset can follow, if there are none. */
  #parseFraction(bytes: Uint8Array, start: number, end: number): number {
    let p = start;
    let nanos = 0;
    for (; p < end; p++) {
      const digit = bytes[p]! - ZERO;
      if (digit < 0 || digit > 9) break;
      if (p - start < NANOS_DIGITS) nanos = nanos * 10 + digit;
      else if (digit !== 0) this.finerThanNanos = true;
    }
    this.fraction = p - start;
    if (this.fraction === 0) return end;
    for (let missing = NANOS_DIGITS - this.fraction; missing > 0; missing--) nanos *= 10;
    this.nanos = nanos;
    return p;
  }

  /** Sets `words` to the count of `unit` since 1970. @returns False if decimals would be lost or int64 does not reach so far. */
  toWords(unit: TimestampUnit, words: Int64Words): boolean {
    const perSecond = PER_SECOND[unit];
    const nanosPerTick = 1_000_000_000 / perSecond;
    if (this.finerThanNanos || this.nanos % nanosPerTick !== 0) return false;
    return words.multiplyAdd(this.seconds[0]!, perSecond, this.nanos / nanosPerTick);
  }
}

/** Seconds east of UTC of the offset that fills `bytes[start, end)`; NaN if it is none. */
function offsetSeconds(bytes: Uint8Array, start: number, end: number): number {
  const sign = bytes[start]!;
  if ((sign | CASE_BIT) === LETTER_Z) return end - start === 1 ? 0 : Number.NaN;
  if ((sign !== PLUS && sign !== MINUS) || end - start !== 6 || bytes[start + 3] !== COLON) return Number.NaN;
  const hours = twoDigits(bytes, start + 1);
  const minutes = twoDigits(bytes, start + 4);
  if ((hours | minutes) < 0 || hours > 23 || minutes > 59) return Number.NaN;
  const seconds = hours * 3_600 + minutes * 60;
  return sign === MINUS ? -seconds : seconds;
}

/** Value of two ASCII digits, or −1. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - ZERO;
  const ones = bytes[at + 1]! - ZERO;
  return tens >>> 0 > 9 || ones >>> 0 > 9 ? -1 : tens * 10 + ones;
}

function daysInMonth(year: number, month: number): number {
  const leap = month === 2 && (year & 3) === 0 && (year % 100 !== 0 || year % 400 === 0);
  return DAYS_IN_MONTH[month]! + (leap ? 1 : 0);
}

/** Days from 1970-01-01. Source: H. Hinnant, chrono-Compatible Low-Level Date Algorithms, days_from_civil. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + (yearOfEra >> 2) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
