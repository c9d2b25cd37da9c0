#!/usr/bin/env bash
# Kafka Connect, distributed, with the variables that upstream's script takes.
# shellcheck disable=SC2086  the options are several words each
exec java ${KAFKA_HEAP_OPTS:--Xmx1g} -XX:+UseSerialGC -Djava.awt.headless=true ${KAFKA_LOG4J_OPTS:-} ${KAFKA_OPTS:-} \
    -cp '/kafka/libs/*' org.apache.kafka.connect.cli.ConnectDistributed "$@"
