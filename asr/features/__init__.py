"""Features: filterbank, MFCC, normalisation, augmentation."""
