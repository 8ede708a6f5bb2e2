"""Whether files are as maskcls wrote them."""
