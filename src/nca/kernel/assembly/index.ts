// The NCA kernels. Every export whose first parameters are (item, thread, job) is a kernel.
export { ncaForward, ncaForwardTeam } from "./forward";
export { ncaBackward, ncaBackwardTeam, ncaBeginGradient, ncaEndGradient } from "./backward";
export { ncaPack, ncaPackedLength, ncaSumGradients } from "./packed";
export { ncaBlock, ncaScratchBytes } from "./scratch";
export { ncaScheduleBytes } from "./team";
