"""What a person sees of a run: summary, HTML, timelines; reads the trace and the result only."""
