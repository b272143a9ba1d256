// Everything begins here. What is below waits until it comes into view.

startTheme();
startPrinting();
startTips();
startCompare();
startMaps();
startBaselines();
startLayers();
startSources();
startReading();
startLoad();
startTokens();
startAgreement();
startCharts();
startFetching();
