;; The workload of README.md, in Scheme, for Guile.
(use-modules (ice-9 textual-ports) (rnrs bytevectors))

(define (make-items)
  (let loop ((number 0) (items '()))
    (if (= number 200000)
        items
        (loop (+ number 1)
              (cons (vector number (string-append "item " (number->string number)))
                    items)))))

(define (make-garbage)
  (let loop ((number 0) (pair #f))
    (if (= number 500000)
        (length pair)
        (loop (+ number 1) (list number (- number))))))

(define (make-text)
  (call-with-output-string
    (lambda (port)
      (do ((number 0 (+ number 1))) ((= number 400000))
        (display number port)
        (display "," port)))))

(define kept
  (let loop ((turn 0) (kept '()))
    (if (= turn 5)
        kept
        (let ((items (make-items)))
          (loop (+ turn 1) (if (even? turn) (cons items kept) kept))))))
(define buffers (map (lambda (i) (make-bytevector (ash 1 20) i)) (iota 20)))
(define numbers (make-vector (ash 4 20) 1.0))
(define table (make-hash-table))
(do ((number 0 (+ number 1))) ((= number 200000))
  (hashv-set! table number (number->string number)))
(define result (+ (make-garbage) (string-length (make-text))))

(display "peak\n")
(force-output)
(get-string-all (current-input-port))
(display (+ result (length (car kept)) (length buffers) (vector-length numbers)
            (hash-count (const #t) table)))
(newline)
