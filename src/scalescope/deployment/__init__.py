"""What a bench means: classes, tables, walls, scaling with length, recommendation, audit; pure arithmetic."""
