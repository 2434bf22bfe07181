import { describeLifeOnKafka } from '../support/crash/life-on-kafka.ts';
import { drawnToday } from '../support/crash/points.ts';

// All of them: npm run test:full.
describeLifeOnKafka(drawnToday(3));
