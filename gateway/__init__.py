"""What is owed: messages, credit, their durable state, and the ways out."""
