import { access } from 'node:fs/promises';
import { resolve } from 'node:path';

import { RequestError } from '../../errors.ts';
import type { CommandContext, CommandResult } from '../context.ts';
import { runDemo } from '../demo/tour.ts';

/** `headgate demo`: the tour in a folder of its own. @throws RequestError when there is one already */
export async function demo(context: CommandContext, dir: string): Promise<CommandResult> {
  const folder = resolve(context.folder, dir);
  const isFree = await access(folder).then(
    () => false,
    () => true,
  );
  if (!isFree)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot run the demo in "${folder}": it exists already (mend: ${context.called.demo} ANOTHER_FOLDER, or remove it)`,
    );
  return runDemo(context, folder);
}
