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
        const called = calledAs(context.environment['npm_lifecycle_event']);
        const isFree = await access(folder).then(
          () => false,
          () => true,
        );
        if (!isFree)
          throw new RequestError(
            'REQUEST_INVALID',
            `Cannot run the demo in "${folder}": it exists already (mend: ${called.demo} ANOTHER_FOLDER, or remove it)`,
          );
        return runDemo(context, folder, called.program);
      }),
    );
};

/**
 * How the user can call this program again: what npm runs is not on the shell's path.
 * @param npmEvent name of the npm script that this process is; `npx` for npx; undefined when npm did not start it.
 */
export function calledAs(npmEvent: string | undefined): { readonly program: string; readonly demo: string } {
  if (npmEvent === undefined) return { program: 'headgate', demo: 'headgate demo' };
  return { program: 'npx headgate', demo: npmEvent === 'demo' ? 'npm run demo --' : 'npx headgate demo' };
}
