//! What a person sees in a browser: the server and its page.
