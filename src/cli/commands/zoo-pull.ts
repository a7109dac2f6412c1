import type { Command } from 'commander';
import { addPull } from '../pull.ts';

export const register = (program: Command): void =>
  addPull(program, 'zoo', 'zoo', 'Bring a zoo here from the Hugging Face hub');
