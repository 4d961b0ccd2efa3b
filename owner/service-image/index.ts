export { makeServiceImage, type ServiceImage, type ServiceImageArgs } from "./service-image";
