/* The measuring client over Debian's librdkafka: the same client for every broker that is compared.
 *
 *   bench-client produce BOOTSTRAP TOPIC COUNT [SIZE]      acks=all, linger 5 ms, partition 0
 *   bench-client consume BOOTSTRAP TOPIC COUNT             partition 0 from the beginning
 *   bench-client latency BOOTSTRAP TOPIC COUNT RATE        linger 0; acknowledgement and end to end
 *   bench-client first BOOTSTRAP TOPIC                     retries until one record is acknowledged
 *
 * Prints one line of JSON. Times are of the monotonic clock, in milliseconds. */

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_SIZE = 100, WAIT_MS = 60000 };

static long acknowledged;
static long failed;
static double *ack_ms;    /* in latency mode: how long each acknowledgement took */
static double *end_ms;    /* and how long each message took to the consumer */
static double *sent_at;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[512];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        die(name, reason);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err) {
        if (failed++ == 0)
            fprintf(stderr, "first failure: %s\n", rd_kafka_err2str(message->err));
        return;
    }
    acknowledged++;
    if (ack_ms) {
        long number = (long)(intptr_t)message->_private;
        ack_ms[number] = now_ms() - sent_at[number];
    }
}

static rd_kafka_t *open_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *bootstrap)
{
    char reason[512];
    set(conf, "bootstrap.servers", bootstrap);
    rd_kafka_t *rk = rd_kafka_new(type, conf, reason, sizeof reason);
    if (!rk)
        die("client", reason);
    return rk;
}

static rd_kafka_t *open_producer(const char *bootstrap, const char *linger_ms)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "linger.ms", linger_ms);
    set(conf, "acks", "all");
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "batch.num.messages", "10000");
    set(conf, "socket.nagle.disable", "true");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return open_client(RD_KAFKA_PRODUCER, conf, bootstrap);
}

static void put(rd_kafka_t *rk, rd_kafka_topic_t *topic, void *payload, size_t size, long number)
{
    while (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, payload, size, NULL, 0,
                            (void *)(intptr_t)number) == -1) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 10);
    }
}

/* Unless all were acknowledged, the figures would be of something else. */
static void finish(rd_kafka_t *rk, long count)
{
    rd_kafka_flush(rk, WAIT_MS);
    if (acknowledged != count || failed)
        die("produce", "not every record was acknowledged");
}

static void produce(const char *bootstrap, const char *name, long count, size_t size)
{
    char *payload = malloc(size);
    for (size_t i = 0; i < size; i++)
        payload[i] = (char)('a' + i % 26);
    rd_kafka_t *rk = open_producer(bootstrap, "5");
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    double started = now_ms();
    for (long n = 0; n < count; n++) {
        put(rk, topic, payload, size, n);
        if ((n & 1023) == 0)
            rd_kafka_poll(rk, 0);
    }
    finish(rk, count);
    double seconds = (now_ms() - started) / 1e3;
    printf("{\"mode\":\"produce\",\"count\":%ld,\"size\":%zu,\"seconds\":%.3f,\"rate\":%.0f}\n",
           count, size, seconds, (double)count / seconds);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    free(payload);
}

static rd_kafka_t *open_consumer(const char *bootstrap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "fetch.message.max.bytes", "1048576");
    set(conf, "queued.min.messages", "1000000");
    set(conf, "fetch.wait.max.ms", "100");
    return open_client(RD_KAFKA_CONSUMER, conf, bootstrap);
}

static void consume(const char *bootstrap, const char *name, long count)
{
    enum { MANY = 10000 };
    rd_kafka_message_t *messages[MANY];
    rd_kafka_t *rk = open_consumer(bootstrap);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    double started = now_ms(), last = started;
    long taken = 0;
    rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_BEGINNING);
    while (taken < count) {
        ssize_t got = rd_kafka_consume_batch(topic, 0, 200, messages, MANY);
        for (ssize_t i = 0; i < got; i++) {
            if (!messages[i]->err)
                taken++;
            rd_kafka_message_destroy(messages[i]);
        }
        if (got > 0)
            last = now_ms();
        else if (now_ms() - last > WAIT_MS)
            die("consume", "no message for a minute");
    }
    double seconds = (now_ms() - started) / 1e3;
    printf("{\"mode\":\"consume\",\"count\":%ld,\"seconds\":%.3f,\"rate\":%.0f}\n", taken, seconds,
           (double)taken / seconds);
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *sorted, long count, double q)
{
    return sorted[(long)(q * (double)(count - 1))];
}

struct reader {
    rd_kafka_topic_t *topic;
    long count;
};

/* Waits for messages on a thread of its own: nobody spins, and no wait delays another's clock. */
static void *read_all(void *argument)
{
    struct reader *reader = argument;
    double last = now_ms();
    long taken = 0;
    while (taken < reader->count) {
        rd_kafka_message_t *message = rd_kafka_consume(reader->topic, 0, 100);
        if (!message) {
            if (now_ms() - last > WAIT_MS)
                die("latency", "no message for a minute");
            continue;
        }
        if (!message->err) {
            long number;
            memcpy(&number, message->payload, sizeof number);
            last = now_ms();
            end_ms[number] = last - sent_at[number];
            taken++;
        }
        rd_kafka_message_destroy(message);
    }
    return NULL;
}

static volatile int polling = 1;

static void *poll_answers(void *argument)
{
    while (polling)
        rd_kafka_poll(argument, 50);
    return NULL;
}

static void sleep_until(double ms)
{
    struct timespec t = {(time_t)(ms / 1e3), 0};
    t.tv_nsec = (long)((ms - (double)t.tv_sec * 1e3) * 1e6);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        continue;
}

/* Producer and consumer in one process, so that one clock stamps both ends. The rate is kept by the
 * schedule and not by the answers: a slow answer does not hide the ones behind it. */
static void latency(const char *bootstrap, const char *name, long count, long rate)
{
    ack_ms = calloc((size_t)count, sizeof *ack_ms);
    end_ms = calloc((size_t)count, sizeof *end_ms);
    sent_at = calloc((size_t)count, sizeof *sent_at);
    char payload[DEFAULT_SIZE] = {0};
    rd_kafka_t *in = open_producer(bootstrap, "0"), *out = open_consumer(bootstrap);
    rd_kafka_topic_t *source = rd_kafka_topic_new(in, name, NULL);
    rd_kafka_topic_t *sink = rd_kafka_topic_new(out, name, NULL);
    rd_kafka_consume_start(sink, 0, RD_KAFKA_OFFSET_BEGINNING);
    struct reader reader = {sink, count};
    pthread_t reading, answering;
    if (pthread_create(&reading, NULL, read_all, &reader) ||
        pthread_create(&answering, NULL, poll_answers, in))
        die("latency", "no thread");
    double interval = 1e3 / (double)rate, started = now_ms();
    for (long sent = 0; sent < count; sent++) {
        sleep_until(started + interval * (double)sent);
        memcpy(payload, &sent, sizeof sent);
        sent_at[sent] = now_ms();
        put(in, source, payload, sizeof payload, sent);
    }
    pthread_join(reading, NULL);
    polling = 0;
    pthread_join(answering, NULL);
    finish(in, count);
    /* The first tenth holds connecting and warming up. */
    long skip = count / 10, rest = count - skip;
    qsort(ack_ms + skip, (size_t)rest, sizeof *ack_ms, ascending);
    qsort(end_ms + skip, (size_t)rest, sizeof *end_ms, ascending);
    printf("{\"mode\":\"latency\",\"count\":%ld,\"rate\":%ld,\"ackP50\":%.3f,\"ackP99\":%.3f,"
           "\"endP50\":%.3f,\"endP99\":%.3f}\n",
           count, rate, quantile(ack_ms + skip, rest, 0.5), quantile(ack_ms + skip, rest, 0.99),
           quantile(end_ms + skip, rest, 0.5), quantile(end_ms + skip, rest, 0.99));
    rd_kafka_consume_stop(sink, 0);
    rd_kafka_topic_destroy(source);
    rd_kafka_topic_destroy(sink);
    rd_kafka_destroy(in);
    rd_kafka_destroy(out);
}

/* From here to the first acknowledged record, with a client that tries again at once. */
static void first(const char *bootstrap, const char *name)
{
    double started = now_ms();
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "linger.ms", "0");
    set(conf, "acks", "all");
    set(conf, "reconnect.backoff.ms", "1");
    set(conf, "reconnect.backoff.max.ms", "1");
    set(conf, "retry.backoff.ms", "1");
    set(conf, "topic.metadata.refresh.fast.interval.ms", "1");
    set(conf, "log_level", "0");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = open_client(RD_KAFKA_PRODUCER, conf, bootstrap);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    char payload[DEFAULT_SIZE] = {0};
    put(rk, topic, payload, sizeof payload, 0);
    while (!acknowledged && !failed)
        rd_kafka_poll(rk, 1);
    if (failed)
        die("first", "the record failed");
    printf("{\"mode\":\"first\",\"milliseconds\":%.1f}\n", now_ms() - started);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "produce") && argc >= 5)
        produce(argv[2], argv[3], atol(argv[4]), argc > 5 ? (size_t)atol(argv[5]) : DEFAULT_SIZE);
    else if (!strcmp(mode, "consume") && argc == 5)
        consume(argv[2], argv[3], atol(argv[4]));
    else if (!strcmp(mode, "latency") && argc == 6)
        latency(argv[2], argv[3], atol(argv[4]), atol(argv[5]));
    else if (!strcmp(mode, "first") && argc == 4)
        first(argv[2], argv[3]);
    else {
        fputs("usage: bench-client produce|consume|latency|first BOOTSTRAP TOPIC ..\n", stderr);
        return 2;
    }
    return 0;
}
