import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';

import { isKey } from '../../ports/object-key.ts';
import type { ListedObject, ListPage } from '../../ports/object-store.ts';

/** Most keys that S3 gives at once. */
const PAGE_KEYS_MAX = 1_000;

/** What to list, and where. */
export interface ListingRequest {
  readonly client: S3Client;
  readonly bucket: string;
  /** Empty or ends in `/`: what all keys of the store begin with in the bucket. */
  readonly keyPrefix: string;
  /** As in the port; without `keyPrefix`. */
  readonly prefix: string;
  readonly startAfter: string | undefined;
  readonly limit: number;
  readonly abortSignal: AbortSignal;
}

/**
 * One page of a listing, empty only at the end.
 *
 * Keys that a store would not take are passed over: no caller could ask for them. Consoles make some (an object whose
 * name ends in `/` stands for a folder), and whoever can write to the bucket can make any.
 * @throws {Error} if the server lists keys out of order or without being asked: whoever pages through would never come to
 *   an end, or miss some; an SDK error
 */
export async function readPage(request: ListingRequest): Promise<ListPage> {
  const { client, bucket, keyPrefix, prefix, startAfter, limit, abortSignal } = request;
  const objects: ListedObject[] = [];
  let start = startAfter === undefined ? '' : keyPrefix + startAfter;
  for (let maxKeys = limit; ; maxKeys = PAGE_KEYS_MAX) {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: keyPrefix + prefix,
      MaxKeys: maxKeys,
      ...(start === '' ? {} : { StartAfter: start }),
    });
    const { Contents: contents = [], IsTruncated: isTruncated } = await client.send(command, { abortSignal });
    // Else the page of some proxy would be an empty store.
    if (isTruncated === undefined) throw new Error('what answered did not send a listing');
    for (const { Key: fullKey = '', ETag: tag = '' } of contents) {
      const key = fullKey.slice(keyPrefix.length);
      if (!isKey(key)) continue;
      if (!fullKey.startsWith(keyPrefix + prefix) || key <= (objects.at(-1)?.key ?? startAfter ?? ''))
        throw outOfOrder(fullKey);
      objects.push({ key, tag });
    }
    const page = objects.slice(0, limit);
    const isMore = isTruncated || objects.length > limit;
    if (!isMore || page.length > 0) return { objects: page, next: isMore ? page.at(-1)!.key : null };
    // Only strange keys, and more behind them: ask again, since callers take an empty page for the end.
    const next = behind(contents.at(-1)?.Key ?? '', start);
    if (Buffer.from(next).compare(Buffer.from(start)) <= 0) throw outOfOrder(next);
    start = next;
  }
}

/** Greater than every other character. */
const LAST_CHARACTER = '\u{10ffff}';
/** What stands for a character that XML 1.0 cannot carry: most controls, and what is not UTF-8. */
const REPLACED = '\ufffd';

/**
 * Where to go on behind a strange key: behind all keys that share what makes it strange, none of which can be ours.
 * Neither the key itself nor the server's continuation token will do: if it holds a control character, both are damaged on
 * the way by XML, and one such key could hide all that sort behind it.
 */
function behind(strange: string, start: string): string {
  const at = strange.search(/[^A-Za-z0-9%~_.=/-]/);
  if (at < 0) return strange;
  const plain = strange.slice(0, at);
  const character = String.fromCodePoint(strange.codePointAt(at)!);
  if (character >= ' ' && character !== REPLACED) return plain + character + LAST_CHARACTER;
  // A control sorts before the space, bytes that are no UTF-8 behind all of our characters: try the nearer place first.
  const behindControls = `${plain} `;
  return behindControls > start ? behindControls : plain + LAST_CHARACTER;
}

function outOfOrder(key: string): Error {
  return new Error(`the server lists ${JSON.stringify(key)} out of order, or without being asked for it`);
}
