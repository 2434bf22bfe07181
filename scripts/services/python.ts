import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { runStep } from './command.ts';
import { installedProgram } from './installed-program.ts';
import { PYTHON } from './toolchain.ts';

/** The second opinions: an Arrow and Parquet reader, an SQL engine, statistics, and a Kafka client that is not ours. */
export const PYTHON_PACKAGES = [
  'confluent-kafka==2.16.1',
  'duckdb==2.0.0',
  'numpy==2.4.6',
  'pyarrow==26.0.1',
  'scipy==1.17.1',
] as const;

const version = createHash('sha256').update(PYTHON_PACKAGES.join('\n')).digest('hex').slice(0, 12);

/** A virtual environment with {@link PYTHON_PACKAGES}; its address is its interpreter. */
export const python = installedProgram({
  name: 'python',
  variable: 'HEADGATE_PYTHON',
  installation: { name: 'python', version, title: 'python packages', cost: 'about 1 min' },
  toolsToInstall: [PYTHON],
  path: (folder) => join(folder, 'bin', 'python'),
  async install(context, folder, logFile) {
    const options = { environment: context.environment, logFile, background: true, signal: context.signal };
    const interpreter = join(folder, 'bin', 'python');
    await runStep('make a Python environment', 'python3', ['-m', 'venv', folder], options);
    // Wheels only: nothing is compiled and no package runs code of its own. None of the five needs more than the others.
    const pipArguments = ['-m', 'pip', 'install', '--no-deps', '--only-binary=:all:', '--no-input', ...PYTHON_PACKAGES];
    await runStep('install the Python packages', interpreter, pipArguments, options);
    const imports = 'import confluent_kafka, duckdb, numpy, pyarrow.parquet, scipy.stats';
    await runStep('import the Python packages', interpreter, ['-c', imports], options);
  },
});
