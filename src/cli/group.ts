import type { Command } from 'commander';

/** What each group of commands is for. */
export const GROUPS = {
  nca: 'Train and run single neural cellular automata',
  zoo: 'Build, import and look at zoos: folders of trained NCAs',
  encoders: 'Pretrained texture encoders',
  runs: 'List, compare and resume runs',
};

/** The command group of that name, made when it is not there yet: several files add to one group. */
export const group = (program: Command, name: keyof typeof GROUPS): Command =>
  program.commands.find(command => command.name() === name) ??
  program.command(name).description(GROUPS[name]);
