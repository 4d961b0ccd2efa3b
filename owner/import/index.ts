export * from "./pin";
