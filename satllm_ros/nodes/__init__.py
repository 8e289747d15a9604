"""ROS shells: the only room that imports rclpy or messages."""
