"""Process validation: a method on surrogate patients, against retrains, fakes and forgeries."""
