import { describeLifeOnFiles } from '../support/crash/life-on-files.ts';
import { drawnToday } from '../support/crash/points.ts';

// All of them: npm run test:full.
await describeLifeOnFiles(drawnToday(4));
