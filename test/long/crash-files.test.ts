import { describeLifeOnFiles } from '../support/crash/life-on-files.ts';

await describeLifeOnFiles(() => true);
