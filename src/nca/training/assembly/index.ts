// The kernels of the texture loss. Every export is a kernel: (band, thread, ...arguments).
export { pyramid, sortedProjections, slicedDistance, gatherGradient } from "./sliced";
