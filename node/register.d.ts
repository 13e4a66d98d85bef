// import 'httpsys/register' is for its effect: slipstream().
export {};
