"""The complaint stream: Kafka to DynamoDB and to the lake."""
