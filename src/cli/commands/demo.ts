import type { Register } from '../program.ts';

/** `headgate demo`. */
export const registerDemo: Register = (program, runner) => {
  program
    .command('demo')
    .description('the tour')
    .action(() => runner()(async () => undefined));
};
