// The tensor kernels. Every export is a kernel: (band, thread, ...arguments).
export { fill } from "./fill";
