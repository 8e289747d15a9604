"""ROS-free engine: identities, plans and their switch, custody, the worker pipeline, link queues, durable store."""
