import { nameOf } from '../adapters/file/file-names.ts';
import { realOf } from '../adapters/file/own-places.ts';
import type { LoadedConfig } from '../config/load.ts';
import { ownFolderAround, ownPaths, sourceAround } from '../config/own-files.ts';
import { RequestError } from '../errors.ts';

/**
 * Refuses to pull into a folder of the pipeline itself: what lies among its keys or in its store would be taken for part of it.
 * And into one that its source reads: what was published is no input.
 * @param folder absolute; it need not exist.
 * @throws RequestError
 */
export async function assertPullable({ config, path }: LoadedConfig, folder: string): Promise<void> {
  const real = nameOf(await realOf(folder)) ?? folder;
  const own = ownPaths(config, path);
  const taken = ownFolderAround(folder, own) ?? ownFolderAround(real, own);
  if (taken !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot pull into "${folder}": ${folder === taken ? 'it' : `"${taken}"`} belongs to this pipeline itself (mend: pull into a folder outside of its store, keys and state)`,
    );
  const read = sourceAround(folder, config, path) ?? sourceAround(real, config, path);
  if (read !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot pull into "${folder}": the source reads there (source.files.paths has "${read}"), and what was published must not lie among what is read (mend: pull into another folder)`,
    );
}
