"""The SQLite engine behind the Storage port, its tables and stores."""
