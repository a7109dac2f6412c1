// A worker of the pool in a browser: told once what it works on.
import { help } from './team.mjs';

addEventListener('message', ({ data }) => help(data), { once: true });
