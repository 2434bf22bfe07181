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
  for (let token: string | undefined; ;) {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: keyPrefix + prefix,
      ...(startAfter === undefined ? {} : { StartAfter: keyPrefix + startAfter }),
      // Behind a page of strange keys there may be many more.
      ...(token === undefined ? { MaxKeys: limit } : { MaxKeys: PAGE_KEYS_MAX, ContinuationToken: token }),
    });
    const { Contents: contents = [], ...answer } = await client.send(command, { abortSignal });
    for (const { Key: fullKey = '', ETag: tag = '' } of contents) {
      const key = fullKey.slice(keyPrefix.length);
      if (!isKey(key)) continue;
      if (!fullKey.startsWith(keyPrefix + prefix) || key <= (objects.at(-1)?.key ?? startAfter ?? ''))
        throw new Error(`the server lists ${JSON.stringify(fullKey)} out of order, or without being asked for it`);
      objects.push({ key, tag });
    }
    const page = objects.slice(0, limit);
    const isMore = answer.IsTruncated === true || objects.length > limit;
    if (!isMore || page.length > 0) return { objects: page, next: isMore ? page.at(-1)!.key : null };
    token = answer.NextContinuationToken;
    if (token === undefined) throw new Error('the server says that more keys follow, but not how to ask for them');
  }
}
