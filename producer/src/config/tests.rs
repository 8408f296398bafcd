//! One tiny file for each mistake, with its exact message.
