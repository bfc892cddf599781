"""Pages of ECG paper from millivolts: ink, font, layouts, distortions, tiles, and the clip maker over them."""
