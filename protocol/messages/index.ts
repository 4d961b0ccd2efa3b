export * from "./bundle";
export * from "./claim";
export * from "./commit";
export * from "./descriptor";
export * from "./log";
export * from "./program";
export * from "./receipt";
export * from "./run";
