"""One document a customer, in S3 and in the Bedrock knowledge base."""
