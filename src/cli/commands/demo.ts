import { access } from 'node:fs/promises';
import { resolve } from 'node:path';

import { RequestError } from '../../errors.ts';
import { runDemo } from '../demo/tour.ts';
import type { Register } from '../register.ts';

/** `headgate demo`. */
export const registerDemo: Register = (program, runner) => {
  program
    .command('demo')
    .argument('[dir]', 'folder to work in; must not exist yet', 'headgate-demo')
    .description(
      'the tour: real flights stream through, poison is injected and caught, an incident is handled; about a minute, no network',
    )
    .action((dir: string) =>
      runner()(async (context) => {
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
      }),
    );
};
