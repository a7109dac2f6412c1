/** What a page does before its first kernel, beside what every program finds in index.ts. */
export { provideKernels } from './host.web.ts';
