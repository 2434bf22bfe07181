import { describeHaltsInObserveMode } from '../../compose/misfits.ts';
import { setTopLevelKey } from '../../config/edit.ts';
import { RequestError } from '../../errors.ts';
import { load, type CommandContext, type CommandResult } from '../context.ts';

/** `headgate mode`. @throws RequestError */
export async function changeMode(context: CommandContext, mode: string | undefined): Promise<CommandResult> {
  const loaded = await load(context);
  const { config, path } = loaded;
  if (mode === undefined || mode === config.mode) {
    context.output.result({ mode: config.mode, changed: false }, [`${config.mode} mode`]);
    return undefined;
  }
  if (mode !== 'observe' && mode !== 'enforce')
    throw new RequestError('REQUEST_INVALID', `Cannot set mode "${mode}": wanted observe or enforce`);
  await setTopLevelKey(path, 'mode', mode).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RequestError('REQUEST_INVALID', `Cannot change "${path}": ${why}`, { cause });
  });
  const halts = describeHaltsInObserveMode({ ...loaded, config: { ...config, mode } });
  context.output.result({ mode, changed: true }, [
    `${path} says ${mode} now; running processes take it up when they are restarted, and every entry they sign says so`,
    context.output.called(EFFECTS[mode]),
    ...(halts === null ? [] : [context.output.called(halts)]),
  ]);
  return undefined;
}

/** A batch keeps the mode it was read in: what is there already is a person's to decide. */
const EFFECTS = {
  observe:
    'batches read from now on are published whatever their verdict; what is held already stays held: headgate quarantine list shows it, headgate quarantine release lets it in',
  enforce:
    'batches read from now on are held unless they are clean; what observe mode let in stays published: headgate quarantine condemn takes it out',
} as const;
