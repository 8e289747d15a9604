"""Images from outside: data sets, rosbag2 bags and folders, read and written without ROS."""
