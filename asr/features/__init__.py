"""Features: filterbank, MFCC, normalization, augmentation."""
