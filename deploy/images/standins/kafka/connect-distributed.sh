#!/usr/bin/env bash
exec /opt/kafka/bin/run-class org.apache.kafka.connect.cli.ConnectDistributed "$@"
