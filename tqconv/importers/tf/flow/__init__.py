"""Control flow of TensorFlow: functions, and how TF1's primitive nodes become calls of them."""
