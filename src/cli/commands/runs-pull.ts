import type { Command } from 'commander';
import { addPull } from '../pull.ts';

export const register = (program: Command): void =>
  addPull(program, 'runs', 'run', 'Bring a trained model here from the Hugging Face hub');
