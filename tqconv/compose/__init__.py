"""What sources ask for and TensorFlow Lite lacks, composed of its operators, channels last."""
